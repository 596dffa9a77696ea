"""Import of models of other toolkits as run directories.

Nothing is imported here, so that OpenNMT-tf configurations are read without TensorFlow.
"""
