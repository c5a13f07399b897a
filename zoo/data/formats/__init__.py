"""Formats of one's own data, one file each: a public subclass of `Format` whose file's name is the format's name."""
