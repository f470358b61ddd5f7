"""The report: runs as one HTML file that opens anywhere, or as Markdown for a pull request.

gather.py reads runs into a `Report`; answers.py asks `recommend`; one file per figure draws plain SVG; page.py and
markdown.py put it together. Every string of a device, a manifest or an import passes escape.py on its way out.
"""
