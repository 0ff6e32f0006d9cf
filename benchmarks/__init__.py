"""Speed and memory, each against a peer or a naive way in the same run."""
