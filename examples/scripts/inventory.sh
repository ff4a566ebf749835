#!/bin/sh
# What a playbook step may look like: takes an argument and a variable, and works for a while.
for item in disks users services; do
  echo "checking $item of $1 ($DEPTH)"
  sleep 0.15
done
echo "3 checks done"
