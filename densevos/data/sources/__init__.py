"""Where videos come from, and how their frames are read."""
