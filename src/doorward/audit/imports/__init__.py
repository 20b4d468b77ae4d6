"""Other tools' findings as targets: one reader per format, streamed, allow-listed fields only."""
