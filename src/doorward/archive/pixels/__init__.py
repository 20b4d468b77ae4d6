"""Pixels: what is compressed is decoded, what is grey is windowed, and a stranger's bytes never meet a decoder here.

stored       what stands in a stored instance: head, pixels frame by frame, rest
picture      rows, columns, bits: what a data set says of its pixels, held against what is there
job          the two lines between this process and a worker
worker       the other process: decoders in C, without network, files or secrets
decoding     (there) a frame as an array
windowing    (there) an array as eight bits: modality, values of interest, palette, colour
workers      (here) so many workers, each with so much time; a dead one is an answer
rendering    a frame as image/jpeg or image/png, and the parameters of PS3.18 section 8.3.5
transcoding  an instance in a transfer syntax that its receiver accepts

This process imports neither pydicom nor numpy; without ``doorward[images]`` images go out as they came in.
"""
