"""`scripts/mutate`: whether the tests of publication notice when its code is changed."""
