//! What a program sends, and whether its token lets it.

use axum::http::{HeaderMap, header};
use market::{ClientId, Market, ParticipantId};

use crate::app::App;
use crate::protocol::{Fields, Flaw, Known, OrderLine, ReplaceLine, SideLine, SourceLine};
use crate::web::placing::Wish;
use crate::web::problem::Problem;
use crate::web::{Bearer, Error, Locale, Role, Scope, certificate};

/// How many orders a body may have.
const MOST: usize = 1_000;

/// The longest client id, in bytes.
const LONGEST_ID: usize = 64;

/// Whether a body says that it is JSON.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

/// What is asked of one order.
#[derive(Debug)]
pub(super) enum Asked {
    /// To place it.
    Order(Box<OrderLine>),
    /// To change it.
    Replace(ReplaceLine),
    /// To cancel it.
    Cancel(ClientId),
}

/// All that is asked.
pub(super) struct Body {
    pub(super) asked: Vec<Asked>,
    /// Whether it was one object and no list.
    pub(super) is_one: bool,
}

impl Body {
    /// What these bytes ask: all of it can be read, or nothing is done. The place of what can't is
    /// said where there are several.
    pub(super) fn read(body: &[u8]) -> Result<Self, (Flaw, Option<usize>)> {
        let text = std::str::from_utf8(body);
        let text = text.map_err(|error| (Flaw::syntax(format!("not UTF-8: {error}")), None))?;
        if !text.trim_start().starts_with('[') {
            let fields = Fields::read(text).map_err(|flaw| (flaw, None))?;
            let asked = Asked::read(fields).map_err(|flaw| (flaw, None))?;
            return Ok(Self {
                asked: vec![asked],
                is_one: true,
            });
        }
        let list = Fields::read_list(text).map_err(|flaw| (flaw, None))?;
        if list.is_empty() || list.len() > MOST {
            let wrong = format!("a list has 1 to {MOST} orders, not {}", list.len());
            return Err((Flaw::together(wrong), None));
        }
        let mut asked = Vec::with_capacity(list.len());
        for (index, fields) in list.into_iter().enumerate() {
            asked.push(Asked::read(fields).map_err(|flaw| (flaw, Some(index)))?);
        }
        Ok(Self {
            asked,
            is_one: false,
        })
    }
}

impl Asked {
    fn read(mut fields: Fields) -> Result<Self, Flaw> {
        let verb = fields.text_or_none("do")?;
        let asked = match verb.as_deref().unwrap_or("order") {
            "order" => Self::Order(Box::new(OrderLine::read(&mut fields)?)),
            "replace" => Self::Replace(ReplaceLine::read(&mut fields)?),
            "cancel" => Self::Cancel(ClientId(fields.text("id")?)),
            verb => {
                let wrong = format!("must be order, replace or cancel, not {verb:?}");
                return Err(Flaw::of("bad_value", "do", wrong));
            }
        };
        fields.end()?;
        let id = asked.id();
        let is_plain = id.bytes().all(|byte| byte.is_ascii_graphic());
        if !(1..=LONGEST_ID).contains(&id.len()) || !is_plain {
            let wrong = format!("must be 1 to {LONGEST_ID} visible ASCII characters");
            return Err(Flaw::of("bad_value", "id", wrong));
        }
        Ok(asked)
    }

    /// The client id of the order that it is about.
    pub(super) fn id(&self) -> &str {
        match self {
            Self::Order(order) => &order.id,
            Self::Replace(change) => &change.id,
            Self::Cancel(client_id) => &client_id.0,
        }
    }

    /// The same with the market's numbers.
    pub(super) fn wish(self, of: ParticipantId, market: &Market) -> Wish {
        match self {
            Self::Order(order) => Wish::Place(order.numbered(of, &mut Known(market))),
            Self::Replace(change) => Wish::Replace {
                client_id: ClientId(change.id),
                units: change.units,
                price: change.price,
            },
            Self::Cancel(client_id) => Wish::Cancel(client_id),
        }
    }

    /// Whether it offers, or changes what offers, a pool's units.
    fn is_of_pool(&self, market: &Market, of: ParticipantId) -> bool {
        match self {
            Self::Order(order) => {
                let source = match &order.side {
                    SideLine::Sell { source, .. } => Some(source),
                    SideLine::Buy { .. } => None,
                };
                matches!(source, Some(SourceLine::Pool(_)))
            }
            Self::Replace(change) => {
                let order = market.order_of(of, &ClientId(change.id.clone()));
                let order = order.map(|order| market.order(order));
                order.is_some_and(|order| !order.is_bid() && order.resold().is_none())
            }
            Self::Cancel(_) => false,
        }
    }
}

/// What a token may, with its member's roles.
pub(super) struct May {
    places: bool,
    cancels: bool,
    buys: bool,
    offers: bool,
    is_certified: bool,
}

/// Why something is not even sent.
#[derive(Clone, Copy, Debug)]
pub(super) enum Refused {
    Scope,
    Role,
    Uncertified,
}

impl Refused {
    pub(super) fn problem(self, locale: Locale) -> Problem {
        let error = match self {
            Self::Scope => Error::Scope,
            Self::Role => Error::Role,
            Self::Uncertified => Error::Uncertified,
        };
        Problem::of_error(locale, &error)
    }
}

impl May {
    pub(super) async fn of(app: &App, bearer: &Bearer, asked: &[Asked]) -> Result<Self, Error> {
        let of = bearer.member.participant;
        let offers = {
            let market = app.feed.market();
            asked.iter().any(|asked| asked.is_of_pool(&market, of))
        };
        let is_certified = offers && certificate::of(&app.db, of).await?.is_some();
        let roles = &bearer.member.roles;
        Ok(Self {
            places: bearer.may(&[Scope::Place]),
            cancels: bearer.may(&[Scope::Cancel]),
            buys: roles.have(&[Role::Buyer]),
            offers: roles.have(&[Role::Operator]),
            is_certified,
        })
    }

    /// Why this is not sent, if it is not.
    pub(super) fn refuses(
        &self,
        market: &Market,
        of: ParticipantId,
        asked: &Asked,
    ) -> Option<Refused> {
        let is_cancel = matches!(asked, Asked::Cancel(_));
        let is_of_pool = asked.is_of_pool(market, of);
        let has_role = match is_cancel {
            true => self.buys || self.offers,
            false if is_of_pool => self.offers,
            false => self.buys,
        };
        if !(if is_cancel { self.cancels } else { self.places }) {
            Some(Refused::Scope)
        } else if !has_role {
            Some(Refused::Role)
        } else if is_of_pool && !self.is_certified {
            Some(Refused::Uncertified)
        } else {
            None
        }
    }
}
