"""One file of tests a room, in folders as the package has them."""
