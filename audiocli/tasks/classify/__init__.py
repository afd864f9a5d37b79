"""Classify recordings: one class of many, or any number of tags; and recognise people by voice.

A network computes features of log-mel spectrograms in steps of 10 to 160 ms; the mean and the
deviation of its features over the recording, or over each segment, go through a linear layer to
the logits of the classes (softmax) or of the tags (a logistic function each). Several models on
one encoder share its work. Probabilities are calibrated by a temperature that was
fitted on recordings of other artists or speakers than those trained on (Guo et al. 2017).

Units: times are seconds; probabilities lie between 0 and 1; the axes of mood, valence and arousal,
between -1 and 1 (Russell's circumplex, derived from the four quadrants).

Known deviations from the papers: the input is the mean of the channels, brought to one peak
level, so that the level of a recording has no influence; speakers are compared by the cosine of
their mean features less the mean of a whole set, without a model of the variance within one.

Limits: a model knows only its own classes, and assigns one of them to any sound; below a level of
confidence, stated on its card, the answer is ``unknown``.

References
----------
Howard et al.: MobileNets. arXiv 1704.04861, 2017.
Gemmeke et al.: Audio Set: An ontology and human-labeled dataset for audio events. ICASSP 2017.
Guo, Pleiss, Sun, Weinberger: On calibration of modern neural networks. ICML 2017.
Russell: A circumplex model of affect. Journal of Personality and Social Psychology 39, 1980.
"""
