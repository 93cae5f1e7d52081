
#!/bin/bash
echo never
