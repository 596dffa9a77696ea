"""What training shows: pictures of attention."""
