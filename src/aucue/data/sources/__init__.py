"""Data sets as they are distributed: folders, tables and releases -> numbered samples. One file each."""
