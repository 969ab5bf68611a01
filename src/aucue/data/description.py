"""What lies in the folder of a prepared set beside the data: its description, problems and findings."""

FORMAT = 1
DESCRIPTION_FILE = "aucue.json"
PROBLEMS_FILE = "problems.csv"
FINDINGS_FILE = "findings.csv"
UNFINISHED_FOLDER = ".unfinished"

REMEDY = "prepare the set again"
