"""How the files of each benchmark lie on disk: a protocol, a root and a split become sequences."""
