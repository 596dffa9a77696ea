"""Tests, in the folders of the package; a file of tests is named for the module that it tests."""
