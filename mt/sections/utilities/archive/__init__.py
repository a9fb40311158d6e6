"""save run directories elsewhere, and bring them back"""
