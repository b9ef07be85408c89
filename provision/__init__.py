"""From role YAML to converged database hosts: attributes, resources, a plan, its application."""
