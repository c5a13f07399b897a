"""Kinds of data, one file each: how a domain is checked, hashed, split, normalised, handed over and scored.

A public subclass of `zoo.kinds.base.Kind` in a file is found by the name of the file, which a data set says.
"""
