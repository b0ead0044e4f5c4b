"""placeholder until the report lands"""
def write_report(directories, target): target.write_text("")
def summary(directory): return ""
