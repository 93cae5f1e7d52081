"""What scontrol says about itself."""

HELP = """\
scontrol [OPTIONS] COMMAND
  show job [ID]               a job, a task (12_3), or all;  -d more, -o one line a job
  show node [NAMES]           nodes;  show partition [NAME], show step [ID]
  show config, licenses       the site
  show hostnames [LIST]       n[1-3] to n1 n2 n3;  show hostlist n1,n2 back
  hold, uhold, release IDS    keep jobs from starting, let them start
  requeue, requeuehold IDS    start jobs anew
  suspend, resume IDS         stop jobs where they are, let them go on (operators)
  update JobId=ID Key=Value   change a job: JobName, TimeLimit, Partition, NumNodes, NumTasks, Nice, Priority,
                              Dependency, StartTime, Deadline, Comment, Features, ReqNodeList, ExcNodeList,
                              MinMemoryNode, MinMemoryCPU, StdOut, StdErr, StdIn, ArrayTaskThrottle, ...
  update NodeName=N State=S Reason=TEXT     DRAIN, RESUME or DOWN (operators)
  write batch_script ID [FILE]              the script of a job; - for standard output
  token [lifespan=SECONDS] [username=NAME]  a token for the HTTP interfaces
  ping, version, wait_job ID, completing, errnumstr NUMBER
"""
