"""From files to checked text tables: one file and one row of `formats` for each data format."""
