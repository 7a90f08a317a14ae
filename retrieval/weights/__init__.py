"""What the embedding needs beside the networks: the whitening, and how it was made."""
