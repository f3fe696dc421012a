"""What holds for every test: hypothesis without a clock, and no search for credentials on the network."""

import os

from hypothesis import settings

# On a busy machine the time that one example takes says nothing. CI runs the same examples every time.
settings.register_profile("bucketcast", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("bucketcast")

# google.auth looks for a metadata server where it finds no credentials, which takes seconds to fail. Set before
# anything imports it.
os.environ["NO_GCE_CHECK"] = "true"
