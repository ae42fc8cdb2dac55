# One node of the broker cluster: ejabberd of Debian 13. Build in the root of the repository:
#   docker build -f docker/scale/broker.Dockerfile -t roomtone-broker-node .
ARG BASE=debian:trixie-slim
FROM ${BASE}
RUN apt-get update -qq \
 && printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends ca-certificates ejabberd \
 && rm -rf /var/lib/apt/lists/* /var/lib/ejabberd/*
COPY docker/scale/ejabberd.yml /etc/ejabberd/ejabberd.yml
COPY docker/scale/broker.sh /usr/local/bin/roomtone-broker-node
RUN chown ejabberd: /etc/ejabberd/ejabberd.yml && chmod 0755 /usr/local/bin/roomtone-broker-node
CMD ["roomtone-broker-node"]
