"""Evaluations -> tables (terminal, Markdown, LaTeX) and pages."""
