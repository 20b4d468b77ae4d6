"""Doorward finds the doors of image archives that stand open, counts what lies behind them, and shuts them.

The floors; a module imports from its own product and from floors below, never upwards, never sideways:

    4  cli        one file per command              pages      templates, style sheets
    3  audit      finds and counts open doors       practice   archives to practise on
    1  net        the only floor with sockets
    0  wire       DICOM upper layer and DIMSE, bytes in, events out
       dicom      data sets, walked within bounds
       knowledge  tables: ports, fingerprints, advisories
       errors     the tree of exceptions            limits     every bound, with unit and source

An audit flows: targets -> scope -> probes -> facts -> checks -> grade -> report.
"""

__version__ = "0.1.0"
