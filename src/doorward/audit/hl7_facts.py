"""What one HL7 port showed: whether it keeps silent, and how it acknowledges a message that it must reject."""

from dataclasses import dataclass

from doorward.greetings.hl7 import Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Hl7Facts:
    """One port where HL7 version 2 was expected. ``is_open`` False: the port is closed."""

    is_open: bool = True
    over_tls: bool = False
    #: Whoever has no client certificate gets no further than TLS.
    demands_certificate: bool = False
    #: What came without a word of ours.
    listened: Answer = Answer.SILENT
    #: What came after our message; None: not sent (below clearance level 3).
    knocked: Answer | None = None
    #: MSA-1 (HL7 table 0008) and whether it named our message.
    code: str = ""
    names_ours: bool = False
    version: str = ""
    looks_like: str = ""

    @property
    def is_hl7(self) -> bool:
        """An acknowledgement of our own message came back."""
        return self.knocked is Answer.ACKNOWLEDGED
