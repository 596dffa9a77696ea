"""Models of other toolkits as run directories: translated with, trained, exported like our own.

Nothing is loaded here: OpenNMT-tf's configurations are read without TensorFlow.
"""
