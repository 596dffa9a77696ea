"""Configurations and models of other toolkits become ours, one package for each toolkit."""
