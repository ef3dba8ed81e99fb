//! Which webhooks the steps of workflows may call.

use std::path::Path;

use pure_sound::Error;
use pure_sound::config::Secret;
use pure_sound::workflows::WebhookOptions;

/// Webhooks that steps may call. Without any, none.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct WebhookArgs {
    /// Let 'notify' steps call URLs below this one, such as https://hooks.example.org/audio; may be given several times.
    #[arg(long, value_name = "URL")]
    webhook: Vec<String>,
    /// Those may also lead to this machine and to private networks.
    #[arg(long, requires = "webhook")]
    webhook_private: bool,
    /// Sign what is sent, with the key in a file (file:PATH) or a variable (env:NAME).
    #[arg(long, value_name = "file:PATH", requires = "webhook")]
    webhook_secret: Option<String>,
}

impl WebhookArgs {
    pub fn options(&self) -> Result<WebhookOptions, Error> {
        let secret = self.webhook_secret.as_deref().map(secret).transpose()?;
        let (allow, private) = (self.webhook.clone(), self.webhook_private);
        Ok(WebhookOptions { allow, private, secret, ..WebhookOptions::default() })
    }
}

fn secret(from: &str) -> Result<Secret, Error> {
    let wrong = |allowed: &str| Error::InvalidValue {
        name: "webhook-secret".into(),
        value: from.into(),
        allowed: allowed.into(),
    };
    let text = if let Some(path) = from.strip_prefix("file:") {
        let path = Path::new(path);
        std::fs::read_to_string(path).map_err(|e| Error::io("read", Some(path), e))?
    } else if let Some(name) = from.strip_prefix("env:") {
        std::env::var(name).map_err(|_| wrong("a variable that is set"))?
    } else {
        return Err(wrong("file:PATH or env:NAME"));
    };
    let text = text.trim();
    if text.is_empty() { Err(wrong("a key that is not empty")) } else { Ok(Secret::new(text)) }
}
