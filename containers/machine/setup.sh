#!/bin/sh
# Runs inside the new root, as root, after the packages are installed; /doorward holds this recipe's files.
set -eu
from=/doorward
suite=$1

useradd --uid 1000 --user-group --create-home --home-dir /home/agent --shell /bin/bash agent
install -d -o 1000 -g 1000 -m 0755 /workspace
install -m 0644 "$from/gitconfig" /etc/gitconfig

# Node and npm come as the binaries of the npm registry, in the places where an installer would put them.
install -d /usr/local/lib/node_modules
install -m 0755 "$from/toolchain/node" /usr/local/bin/node
cp -R "$from/toolchain/npm" /usr/local/lib/node_modules/npm
# Native modules are compiled against these; Node's own download of them would be one more host to allow.
install -d /usr/local/include
cp -R "$from/toolchain/include" /usr/local/include/node
chown -R 0:0 /usr/local/lib/node_modules /usr/local/include
chmod -R u=rwX,go=rX /usr/local/lib/node_modules /usr/local/include
ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
ln -s ../lib/node_modules/npm/bin/npx-cli.js /usr/local/bin/npx
chmod 0755 /usr/local/lib/node_modules/npm/bin/npm-cli.js /usr/local/lib/node_modules/npm/bin/npx-cli.js

# The mirror that the image was built from may be private; machines reach Debian's own through the egress proxy.
rm -f /etc/apt/sources.list /etc/apt/sources.list.d/* /etc/apt/apt.conf.d/99mmdebstrap /etc/dpkg/dpkg.cfg.d/99mmdebstrap /etc/dpkg/dpkg.cfg.d/doorward
sed "s/@SUITE@/$suite/g" "$from/debian.sources" > /etc/apt/sources.list.d/debian.sources

# Other tools read the proxy from the environment, which apt loses where it is run for somebody else.
install -m 0644 "$from/apt-proxy.conf" /etc/apt/apt.conf.d/90doorward

# Where an SSH connection begins. It brings the keys with it: those that came with the package would be everybody's.
install -D -m 0755 "$from/sshd" /usr/local/lib/doorward/sshd
rm -f /etc/ssh/ssh_host_*

# No setuid or setgid program is of use where privileges can't be gained.
find /etc /home /opt /srv /usr /var -xdev -perm /6000 -type f -exec chmod a-s {} +
rm -rf /usr/share/doc/* /usr/share/man/* /usr/share/locale/* /usr/share/info/* /var/lib/apt/lists/* /var/cache/apt/* /var/log/* /etc/resolv.conf /etc/hostname
: > /etc/machine-id
printf '127.0.0.1 localhost\n::1 localhost\n' > /etc/hosts
