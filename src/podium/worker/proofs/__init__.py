"""Other ways to a model's own answers: each is proven before it answers anybody, here and on the model's own rows."""
