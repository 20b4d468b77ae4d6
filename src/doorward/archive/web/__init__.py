"""The HTTPS door of the archive: DICOMweb (PS3.18) for those who are known, and the login of people."""
