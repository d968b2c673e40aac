# Two stages: the first builds the wheel and a virtual environment from the hash locks, the second only runs it.

FROM python:3.13-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /source
# The locked packages first: they change seldom, so this layer is kept when only the source changes.
COPY requirements.lock requirements-build.lock ./
RUN python -m venv /opt/dialer \
    && /opt/dialer/bin/pip install --require-hashes -r requirements.lock \
    && python -m venv /opt/build \
    && /opt/build/bin/pip install --require-hashes -r requirements-build.lock
COPY pyproject.toml README.md config.example.toml ./
COPY dialer ./dialer
COPY sql ./sql
COPY campaigns ./campaigns
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && /opt/dialer/bin/pip install --no-deps /wheels/*.whl \
    && /opt/dialer/bin/pip uninstall --yes pip

FROM python:3.13-slim
# The embedded Postgres refuses a user id without a passwd entry, so the user has a name.
RUN groupadd --gid 10001 dialer \
    && useradd --uid 10001 --gid dialer --no-log-init --create-home --shell /usr/sbin/nologin dialer \
    && install --directory --owner dialer --group dialer --mode 0700 /var/lib/dialer \
    && install --directory /etc/dialer/campaigns
COPY --from=build /opt/dialer /opt/dialer
ENV PATH=/opt/dialer/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    DIALER_STATE_DIR=/var/lib/dialer \
    DIALER_CAMPAIGNS_DIR=/etc/dialer/campaigns
USER 10001:10001
# config.toml and campaigns/ are mounted here; keys come by DIALER_…, DIALER_…_FILE or DIALER_SECRETS_DIR.
WORKDIR /etc/dialer
VOLUME ["/var/lib/dialer"]
EXPOSE 8080
# Longer than the default [shutdown] grace: docker stop --time 40.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 CMD ["dialer", "check", "--health"]
ENTRYPOINT ["dialer"]
CMD ["run"]
