"""What a gateway keeps of earlier searches: vectors of what was sought; what was found, until something is written."""
