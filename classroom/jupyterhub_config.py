"""JupyterHub for a class: a container each, of the image that `classroom/Dockerfile` builds.

    pip install jupyterhub==5.3.0 dockerspawner==14.0.0 jupyterhub-nativeauthenticator==1.3.0
    docker network create class
    jupyterhub -f classroom/jupyterhub_config.py

A student needs two cores while a chapter runs, and 4 GiB; thirty who run by turns do well with 16 cores
and 64 GiB. Containers have no way to the internet ("internal" network): nothing of the book needs one.
"""

import os

c = get_config()  # noqa: F821 (JupyterHub gives it)

c.JupyterHub.spawner_class = "dockerspawner.DockerSpawner"
c.DockerSpawner.image = os.environ.get("DALLE_EDU_IMAGE", "dalle_edu")
c.DockerSpawner.network_name = os.environ.get("DALLE_EDU_NETWORK", "class")
c.DockerSpawner.cmd = ["jupyterhub-singleuser"]
c.DockerSpawner.notebook_dir = "/home/student/dalle_edu"
c.DockerSpawner.volumes = {"dalle_edu-{username}": "/home/student/work"}
c.DockerSpawner.remove = True
c.Spawner.default_url = "/lab/tree/book/00-dalle-in-one-sitting.ipynb"
c.Spawner.cpu_limit = 2
c.Spawner.mem_limit = "4G"

# Accounts that the teacher admits at /hub/authorize.
c.JupyterHub.authenticator_class = "native"
c.Authenticator.admin_users = {os.environ.get("DALLE_EDU_TEACHER", "teacher")}
c.Authenticator.allow_all = False
c.NativeAuthenticator.open_signup = False
