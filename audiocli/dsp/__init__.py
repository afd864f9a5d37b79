"""Hand-made features as pure functions on numpy arrays, one family a file.

The conventions that all of them keep:

- **A mono signal** is float32 of shape (samples,), full scale 1.0. It is cut into frames once, by
  :mod:`audiocli.dsp.frames`, and transformed once; every feature starts from there.
- **Time first.** Spectra are (frames, bins), features (frames,) or (frames, n): one row a frame.
  Frequencies are (bins,), in Hz, and rise from 0.
- **Blocks.** A feature of a frame depends on that frame alone, or also on the frame before it. Then
  the function takes that frame's spectrum as `previous`, and a stream worked on block by block
  gives the numbers of the whole.
- **float32 in, float32 out.**
- **Silence** has a finite value, which each docstring states; it gives neither NaN nor a warning.
  Keeping NaN and infinity out is up to the caller.
- **Definitions** are librosa's wherever librosa has the feature. Where the literature has several,
  each has a name and a parameter chooses.
"""
