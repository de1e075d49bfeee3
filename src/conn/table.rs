//! Slots for connections, and the generations that tell their tenants apart.

/// A connection's slot and which of the slot's tenants it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnId {
    /// The slot.
    pub index: u32,
    /// Counts the slot's tenants.
    pub generation: u32,
}

struct Slot<T> {
    generation: u32,
    tenant: Option<T>,
}

/// All connections of one core.
pub struct Table<T> {
    slots: Vec<Slot<T>>,
    /// Empty slots; the one that was left last is taken first.
    empty: Vec<u32>,
}

impl<T> Table<T> {
    /// A table without connections, with memory for `capacity`.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self { slots: Vec::with_capacity(capacity), empty: Vec::with_capacity(capacity) }
    }

    /// Connections in the table.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len() - self.empty.len()
    }

    /// True without connections.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes a new connection in.
    pub fn insert(&mut self, tenant: T) -> ConnId {
        let index = self.empty.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, tenant: None });
            u32::try_from(self.slots.len() - 1).expect("the connection limit is below 2^32")
        });
        let slot = &mut self.slots[index as usize];
        assert!(slot.tenant.is_none(), "an empty slot has no tenant");
        slot.tenant = Some(tenant);
        ConnId { index, generation: slot.generation }
    }

    /// The connection, if it is still there.
    #[inline]
    pub fn get_mut(&mut self, id: ConnId) -> Option<&mut T> {
        let slot = self.slots.get_mut(id.index as usize)?;
        if slot.generation == id.generation { slot.tenant.as_mut() } else { None }
    }

    /// The slot's present tenant and its name.
    pub fn tenant_of(&self, index: u32) -> Option<ConnId> {
        let slot = self.slots.get(index as usize)?;
        slot.tenant.as_ref().map(|_| ConnId { index, generation: slot.generation })
    }

    /// Lets a connection go. From now on its name means nobody.
    pub fn remove(&mut self, id: ConnId) -> Option<T> {
        self.get_mut(id)?;
        let slot = &mut self.slots[id.index as usize];
        slot.generation = slot.generation.wrapping_add(1);
        self.empty.push(id.index);
        slot.tenant.take()
    }

    /// The names of all connections.
    pub fn ids(&self) -> impl Iterator<Item = ConnId> + '_ {
        (0..self.slots.len() as u32).filter_map(|index| self.tenant_of(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_tenant_is_not_found() {
        let mut table = Table::with_capacity(2);
        let first = table.insert("first");
        assert_eq!(table.remove(first), Some("first"));
        let second = table.insert("second");
        assert_eq!((first.index, second.index), (0, 0));
        assert_eq!(table.get_mut(first), None);
        assert_eq!(table.remove(first), None);
        assert_eq!(table.get_mut(second), Some(&mut "second"));
        assert_eq!(table.len(), 1);
    }
}
