"""Small synthetic raw recordings of all three kinds, in native formats, with known truth (``triptych init --demo``)."""
