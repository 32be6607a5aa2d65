"""The commands of densevos, one file for each family; torch is imported where a command needs
it.
"""
