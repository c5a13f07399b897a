"""Data sets, one file each: a public subclass of `Dataset` whose file's name is the data set's name."""
