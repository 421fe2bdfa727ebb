"""The fully connected CRF of Krähenbühl and Koltun (NIPS 2011). No Qt."""
