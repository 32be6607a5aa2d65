"""What is foreground before anything is learned: maps of every frame, which MuG starts from."""
