"""The network: views -> fusion -> head. Importing this package alone pulls in no torch."""
