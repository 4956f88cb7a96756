"""Whether models are still good: what is kept of their traffic and their data, judged, told and shown, beside serving."""
