"""Sensors: processes at other sites that visit systems and send facts back, over NATS JetStream.

messages   what travels, as bounded bytes
config     sensor.toml and coordinator.toml
subjects   under which names that lies on the server
link       one connection to the NATS server; the only file that knows nats-py
sensor     takes work, visits, answers
coordinator  hands work out
receiving  looks at what comes back, judges each system once
setup      writes everything that a first start needs
authority  the certificates of the setup
"""
