"""The page's certificate, for a server that ends TLS itself.

Law: what cannot be loaded is an error at the start, never a page without encryption.
"""

from __future__ import annotations

import ssl

from streamviz.errors import ConfigError

__all__ = ["page_context"]


def page_context(certificate: str | None, key: str | None) -> ssl.SSLContext | None:
    """Return what Tornado needs to answer over TLS, ``None`` if neither file is named.

    Args:
        certificate: File with the certificate and what it was signed by, PEM.
        key: File with its private key, PEM, without a password.

    Raises:
        ConfigError: Only one is named, or they cannot be used together.
    """
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        missing = "--tls-key" if key is None else "--tls-cert"
        raise ConfigError(missing, None, "a file, since the other one of the two is named")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # Else OpenSSL asks the terminal for a password.
        context.load_cert_chain(certificate, key, password="")
    except FileNotFoundError:
        raise ConfigError("--tls-cert, --tls-key", (certificate, key), "two files") from None
    except (OSError, ssl.SSLError) as error:
        expected = f"a certificate and its private key without a password, PEM ({error})"
        raise ConfigError("--tls-cert, --tls-key", (certificate, key), expected) from None
    return context
