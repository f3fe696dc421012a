"""Cloud Storage on loopback: buckets, objects, preconditions and the JSON and media API over them."""
