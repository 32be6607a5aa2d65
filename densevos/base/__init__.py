"""The ground that both packages stand on: errors, files, masks, worker processes, the console."""
