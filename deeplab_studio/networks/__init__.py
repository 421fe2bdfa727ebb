"""The DeepLab family as torch modules. Knows no file formats and no Qt.

What differs between published ports of one version (padding, dilation rule, normalisation, rates) is data in a
`Profile`; `DeepLab` builds the network a profile describes.
"""
