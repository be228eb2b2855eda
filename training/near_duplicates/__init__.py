"""Near-duplicates, measured: which edits of photographs are told as copies, and which other pictures wrongly."""
